"""The language of the mapping: semantic types, declarations, and the laws they obey."""
