"""What watches the joined data: pure functions from series and profiles to findings."""
