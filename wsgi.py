"""The web application, for a WSGI server: `gunicorn wsgi:app`."""
