"""What people and programs read of the service: `/docs`, `/llms.txt`, an example of everything."""
