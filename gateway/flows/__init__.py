"""What happens over time: sign-in, sessions, grants, refresh. Talks to the world through `ports` only."""
