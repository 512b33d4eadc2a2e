"""Two pages."""

from django.urls import path
from notes import views

urlpatterns = [
    path("", views.notes, name="notes"),
    path("reports/<int:pk>/", views.report, name="report"),
]
