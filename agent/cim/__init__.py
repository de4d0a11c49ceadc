"""The WBEM server: the mapping as CIM classes, served over CIM-XML."""
