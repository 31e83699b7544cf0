"""Tango values, and the JSON values that stand for them."""
