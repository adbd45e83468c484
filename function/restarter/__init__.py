"""Restart a failed or paused migration task of Huawei Cloud OMS, once per event."""

__version__ = "0.3.0"
