"""An example of everything that is sent and answered: one person's to-do list, told once.

They are objects of the schemas' own classes where they can be, so that a field that is added or
renamed is missed here before anybody reads it.
"""
