"""`taskchat chat`: a person, or a program, talks to a service from a terminal."""
