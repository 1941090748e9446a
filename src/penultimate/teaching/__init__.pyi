from penultimate.teaching.errors import JournalBusyError as JournalBusyError
from penultimate.teaching.errors import TeachingError as TeachingError
from penultimate.teaching.lesson import HeadComparison as HeadComparison
from penultimate.teaching.lesson import Lesson as Lesson
from penultimate.teaching.lesson import Promotion as Promotion
from penultimate.teaching.lesson import Status as Status
from penultimate.teaching.teacher import Teacher as Teacher
