"""Videos and animations with their faces made unrecognisable, and everything else as it was.

file -> probe, look at one frame -> chunks of whole groups
-> find: faces of every frame, in any order (elsewhere)
-> cover: all of them, in order -> which regions of which frame are hidden
-> write: frames decoded, hidden in their own planes, encoded in closed groups, in any order (elsewhere)
-> join: the groups' packets behind each other, and the other streams' packets as they were
"""
