"""The strategies of the property tests."""

import unicodedata

from hypothesis import strategies as st

# Everything that JSON can carry, with many troublesome characters: joiners, marks, composites, directions, blanks.
troublesome = st.sampled_from(
    "\u0301\u0344\u0958\u1100\u1161\u11a8"
    "\u200b\u200d\u200e\u202e\u2066\u2028\u0085\u00a0\u3000\u3164\u2800\ufe0f\ufeff\n\t\r\0 😀ﬁẞİΣ"
)
characters = st.one_of(st.characters(exclude_categories=["Cs"]), troublesome)
texts = st.one_of(
    st.text(characters, max_size=120),
    # One odd character among harmless ones, so that it alone decides.
    st.builds("{}{}{}".format, st.text("aé字", min_size=1, max_size=99), characters, st.text("bß🎭", max_size=99)),
)
visible_texts = texts.filter(lambda text: any(unicodedata.category(c)[0] in "LNPS" for c in text))
