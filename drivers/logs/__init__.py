"""The logs of domains, as files of this host: which there are, whose they are, what they say, and how they go.

`places` says where a hypervisor writes, `ownership` which file belongs to whom, `lines` what a line says, `reading` and `searching`
find lines, `following` sees new ones come, `control` and `retention` remove files, and `collection` holds them together for one
hypervisor. Nothing here knows libvirt; whatever blocks here blocks on a disk of this host.
"""
