"""Limits of one request, each with its reason: a small request must not cause much work."""

# Parameters of a query or form, each value of a repeated one counted: ten thousand are parsed in 10 ms.
PARAMETERS = 10_000

# Bytes of a form, which is parsed byte by byte: 1 MiB takes a tenth of a second. JSON has only MTANGO_BODY_LIMIT.
FORM = 1 << 20

# Names of attributes, properties, labels or elements of a pipe: many more than a panel shows, and about as many as
# gunicorn's longest request line has room for.
NAMES = 1_000

# How often a request may name one attribute: each time its value, which may be an image, is in the answer.
REPEATS = 4

# Wildcards: each is a query of the Tango database.
WILDCARDS = 16

# Elements of a value that are converted one by one, as those of comma lists and texts are: this many hold the hub for
# half a second. Lists of JSON numbers are converted at once.
ONE_BY_ONE = 100_000

# Names of properties with `*`, `%` or characters that are not ASCII: each is compared as a pattern with all other
# names, in a fifth of a second.
PATTERNS = 100

# Texts of the properties of one request: each is a row in the Tango database.
LINES = 10_000

# Bytes of a text of a property: the width of the column in the C++ database, which cuts longer ones.
LINE = 65_535

# Devices of one request.
DEVICES = 1_000

# Items of a response about several devices: this many descriptions of attributes are encoded in a few hundredths of a
# second, and as many values in two thousandths.
ITEMS = 5_000
