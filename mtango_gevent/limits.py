"""How much one request may ask for, each with its reason: a small request is not to make much work."""

# Parameters of a query or form, each value of a repeated one counted: ten thousand take 10 ms apart.
PARAMETERS = 10_000

# Bytes of a form, which is taken apart byte by byte: a tenth of a second. JSON has only MTANGO_BODY_LIMIT.
FORM = 1 << 20

# Attributes, properties, labels and elements of a pipe that are named: many more than a panel shows, and about as many
# as gunicorn's longest request line has room for.
NAMES = 1_000

# How often one attribute may be named: each time its value, which may be an image, is answered again.
REPEATS = 4

# Wildcards: each is a query of the Tango database.
WILDCARDS = 16

# Elements of a value that are looked at one by one, as comma lists and texts are: half a second, in which nobody else
# is served. Lists of JSON numbers are taken in one go.
ONE_BY_ONE = 100_000

# Names of properties with `*` or `%`: each is compared as a pattern with all other names, in a fifth of a second.
PATTERNS = 100

# Texts of the properties of one request: each is a row in the Tango database.
LINES = 10_000

# Bytes of one of them: what a column of the C++ database holds, which cuts what is longer.
LINE = 65_535
