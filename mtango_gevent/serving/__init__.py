"""Running the gateway: command line, gunicorn worker, checks."""
