from penultimate.report.files import write_report as write_report
from penultimate.report.folder import check_folder as check_folder
from penultimate.report.methods_text import methods_paragraph as methods_paragraph
from penultimate.report.summary import summarize as summarize
from penultimate.results.verdict import verdict as verdict
