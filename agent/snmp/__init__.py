"""The SNMP front end: codecs and rules without sockets, and one thin server."""
