# docker build -t lemonade-like .
# docker run --rm -p 8000:8000 -e LEMONADE_LIKE_API_KEY=choose-one -v lemonade-like:/home/lemonade/.cache lemonade-like
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/lemonade-like \
    && /opt/lemonade-like/bin/pip install --no-cache-dir '.[engine]'

FROM python:3.12-slim
# The engine's compute library is built with OpenMP.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 lemonade
COPY --from=build /opt/lemonade-like /opt/lemonade-like
ENV PATH=/opt/lemonade-like/bin:$PATH \
    PYTHONUNBUFFERED=1
USER lemonade
# Made here so that a volume put over it belongs to the user.
RUN mkdir -p /home/lemonade/.cache
VOLUME /home/lemonade/.cache
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + (os.environ.get('LEMONADE_LIKE_PORT') or '8000') + '/live', timeout=2)"]
# It listens on every network of the container, and so does not start without LEMONADE_LIKE_API_KEY (or a file of keys that
# LEMONADE_LIKE_API_KEY_FILE names), unless LEMONADE_LIKE_INSECURE=1 says that everybody there may use it.
ENTRYPOINT ["lemonade-like"]
CMD ["serve", "--host", "0.0.0.0"]
