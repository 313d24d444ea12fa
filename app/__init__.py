"""The web: settings, authentication, the HTTP routes of both doors."""
