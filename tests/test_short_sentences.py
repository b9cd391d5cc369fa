"""The sentences that lesson 13 translates: by people, whole, and never seen by the translator."""

from course_utils.experiments.short_sentences import short_sentences


def test_every_sentence_has_translations_that_differ():
    sentences = short_sentences()
    assert len(sentences) == 400
    for english, translations in sentences.items():
        assert translations, english
        assert len(set(translations)) == len(translations), english
        for text in (english, *translations):
            assert text == " ".join(text.split())  # as the translator's tests compare them
            assert len(english) <= 24  # what the translator was trained for


def test_the_order_says_nothing_about_how_hard_they_are():
    """They are the first of a shuffled list: lengths early and late are alike."""
    lengths = [len(english) for english in short_sentences()]
    assert abs(sum(lengths[:200]) / 200 - sum(lengths[200:]) / 200) < 1
