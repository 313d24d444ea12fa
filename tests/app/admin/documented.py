"""Snippets of the admin part of the API's published documentation, word by word."""

URL = "https://face-api.xylolabs.com"

CURL = {
    "login": """\
curl -X POST https://face-api.xylolabs.com/api/v1/admin/auth/login \\
  -H "Content-Type: application/json" \\
  -d '{"username":"admin","password":"secret"}' \\
  -c cookies.txt -i
""",
    "session": """\
curl -u admin:password https://face-api.xylolabs.com/api/v1/admin/auth/session
""",
    "logout": """\
curl -X POST https://face-api.xylolabs.com/api/v1/admin/auth/logout -b cookies.txt -i
""",
}

PYTHON = {
    "login": """\
import requests

session = requests.Session()
response = session.post(
    "https://face-api.xylolabs.com/api/v1/admin/auth/login",
    json={"username": "admin", "password": "secret"},
)
print(response.status_code)
""",
    "session": """\
import requests
from requests.auth import HTTPBasicAuth

response = requests.get(
    "https://face-api.xylolabs.com/api/v1/admin/auth/session",
    auth=HTTPBasicAuth("admin", "password"),
)
print(response.json())
""",
    "logout": """\
import requests

session = requests.Session()
response = session.post("https://face-api.xylolabs.com/api/v1/admin/auth/logout")
print(response.status_code)
""",
}

JAVASCRIPT = {
    "login": """\
const response = await fetch("https://face-api.xylolabs.com/api/v1/admin/auth/login", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  credentials: "include",
  body: JSON.stringify({ username: "admin", password: "secret" }),
});
console.log(response.status);
""",
    "session": """\
const basic = btoa("admin:password");
const response = await fetch("https://face-api.xylolabs.com/api/v1/admin/auth/session", {
  headers: { Authorization: `Basic ${basic}` },
});
console.log(await response.json());
""",
    "logout": """\
const response = await fetch("https://face-api.xylolabs.com/api/v1/admin/auth/logout", {
  method: "POST",
  credentials: "include",
});
console.log(response.status);
""",
}
