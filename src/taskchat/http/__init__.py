"""What all HTTP answers share: gate, bodies, errors, cursors, health."""
