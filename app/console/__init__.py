"""The admin console: pages for an operator's browser, made on the server, over the parts of the admin API."""
