from django.contrib import admin
from django.http import HttpResponse
from django.urls import path


def hello(request, name):
    return HttpResponse(f"Hello, {name}!")


urlpatterns = [path("admin/", admin.site.urls), path("hello/<str:name>/", hello)]
