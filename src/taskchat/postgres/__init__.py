"""All access to the database, and what it needs: connections, migrations, an embedded server."""
