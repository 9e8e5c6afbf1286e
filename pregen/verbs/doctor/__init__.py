"""Why would a cache that pregen filled not be seen? Facts of this machine, and what follows.

`readers` gather `facts` from settings, file systems and processes; `rules` turn facts into
`findings` and do nothing else. Neither changes anything: a finding says what would.
"""
