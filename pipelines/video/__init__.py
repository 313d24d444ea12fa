"""Videos and animations: what a file is, which of its frames are analysed, and the faces through them.

file -> sniff -> probe -> FrameTable -> sampling -> plan of chunks
-> sampled_frames per chunk (elsewhere, in any order) -> faces -> a record per chunk
-> records in order -> tracks -> result, written as it is read
"""
