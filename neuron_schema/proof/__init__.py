"""What PostgreSQL itself proves of versions, on databases that are thrown away afterwards."""
