"""The database: one schema, SQLite embedded or PostgreSQL by one setting."""
