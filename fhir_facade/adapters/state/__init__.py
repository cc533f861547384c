"""The facade's own rows in SQLite or PostgreSQL: one derivation of tables, one transaction, two databases."""
