/*
** Part of lstrlib.c, for the iterators of `gmatch`: each has one match state for all its calls, and a handler
** of a signal that runs in the middle of one may make another. So the match goes on in a state of its own.
*/
static const char *lupa_match (MatchState *ms, const char *s, const char *p) {
  MatchState own;
  const char *end;
  memcpy(&own, ms, offsetof(MatchState, capture));
  end = match(&own, s, p);
  memcpy(ms, &own, offsetof(MatchState, capture) + own.level * sizeof(own.capture[0]));
  return end;
}

#define match lupa_match
