"""The one sandboxed Jinja2 environment: texts, expressions, and the references they hold."""
