"""Nets that Caffe trained: its prototxts, caffemodels and mean files, read, checked and turned into nets of ours."""

from striate.nets.caffe.net import CaffeNet, parameter_groups

__all__ = ["CaffeNet", "parameter_groups"]
