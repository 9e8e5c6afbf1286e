"""Which sizes of thumbnails this machine's screens ask for (`--flavors auto`).

`settings` reads one file of a desktop each (pure), `facts` gathers what there is here, `choice`
decides (pure). Each run asks once, at its beginning: so nothing is started, no bus is asked, and
what is not there costs one system call.
"""
