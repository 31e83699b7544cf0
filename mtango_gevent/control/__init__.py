"""The Tango side: speaks Tango, knows nothing of HTTP."""
