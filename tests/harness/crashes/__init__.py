"""A run that dies: a crash of torch, a kill, power. What it saw is kept, and where it died found.

journal     a file to which a run appends what each test has seen; removed at its end
watchdog    a small process that notices when the run is gone and its journal is not
aftermath   the report out of a journal
search      the test that died, run again with each call of torch written down before it is made
"""
