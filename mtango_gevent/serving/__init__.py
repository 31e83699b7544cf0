"""How the gateway is run: command line, gunicorn, logs."""
