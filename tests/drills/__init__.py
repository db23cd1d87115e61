"""The rehearsal itself: its list, its reports, and some of its drills."""
