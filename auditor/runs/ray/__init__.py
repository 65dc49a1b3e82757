"""Runs on another machine, through the Jobs API of a Ray cluster over HTTP.

The machine in front of the person imports no Ray: it speaks HTTP with the standard library. What runs on the cluster is
`job`, which calls the same worker in the same run directory as a run on this machine does.

How a run comes back: the job writes numbered, immutable parts into the log folder of Ray's session, and `follow` fetches
them one after the other through the dashboard's log endpoints. That needs the one HTTP address only (so a reverse proxy
will do), survives a restart of either side (the number of the next part is all there is to remember), and carries events and
files alike. Lines of the job's own log were the other way: they hold text only, have no positions, and mix with what Ray says.
"""
