"""How fast the gateway is, beside yardsticks in the same run: `python -m benchmarks`, or `make bench`."""
