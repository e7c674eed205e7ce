"""The pages of the project that the tests have."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.cache import cache_page
from django.views.decorators.clickjacking import xframe_options_exempt

rendered: list[str] = []


@cache_page(60)
def plain(request: HttpRequest) -> HttpResponse:
    rendered.append("plain")
    answer = HttpResponse("plain", headers={"X-Own": "yes"})
    answer.set_cookie("seen", "1", max_age=60, httponly=True, samesite="Lax")
    return answer


@cache_page(60)
@xframe_options_exempt
def template(request: HttpRequest) -> Any:
    rendered.append("template")
    found = engines["django"].from_string("Hello {{ name }}")
    return TemplateResponse(request, found, {"name": request.GET["name"]})


async def visits(request: HttpRequest) -> HttpResponse:
    count = request.session.get("visits", 0) + 1
    request.session["visits"] = count
    return HttpResponse(str(count))


urlpatterns = [path("plain", plain), path("template", template), path("visits", visits)]
