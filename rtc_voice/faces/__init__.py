"""Faces: pictures come in, tracked faces with quality and embedding go out.

May import the ground floor only. The only room that knows mediapipe.
"""
