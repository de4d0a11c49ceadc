"""The MOF text of the mapping and the templates that it is generated from; data only."""
