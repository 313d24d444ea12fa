"""How this project's own two small networks, mask and glasses, are trained; see README.md here."""
