"""The frame of every HTTP answer: gate, bodies, errors, cursors, health."""
