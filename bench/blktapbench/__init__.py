# SPDX-License-Identifier: BSD-2-Clause
"""What bench/compare and bench/footprint have in common."""
