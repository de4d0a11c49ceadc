"""MIB modules as text: the templates, what is made from them (`virtmap generate`), and the standard modules beneath."""
